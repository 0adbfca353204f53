"""Faults against real workers, and the proof that they leave no trace.

points.py, road.py    a proxy between each worker and each broker, which sees named points on the wire
cluster.py, crew.py   brokers and workers that can be killed, and come back
accidents.py          the faults; schedule.py draws them from a seed
round.py, live.py     a replay, and a round on the wall clock, under faults
reader.py, verdict.py an independent reader, and the comparison with the pure fold
soak.py               many of them: `make soak FAULTS=50 SEEDS=1,2,3,4,5`
mutations.py          five ways to break the engine, each of which the harness must notice
"""
