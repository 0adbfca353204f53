"""`winback demo`: real history through a real worker, and a verdict on its alarms."""

from agents.demo.run import run_demo

__all__ = ["run_demo"]
