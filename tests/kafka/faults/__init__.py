"""Faults against real workers, and the proof that they leave no trace.

points.py, road.py    a proxy between each worker and each broker, which sees named points on the wire
cluster.py, crew.py   brokers and workers that can be killed, and come back
accidents.py          the faults; schedule.py draws them from a seed; petitions.py asks to be forgotten
round.py, live.py     a replay, and a round on the wall clock, under faults
reader.py             reads what is left, apart from the engine
verdict.py            the comparison with the pure fold: of a replay
live_verdict.py       and of a live round; lives.py: of whoever was forgotten in it
soak.py               many of them: `make soak FAULTS=50 SEEDS=1,2,3,4,5`
mutations.py          five ways to break the engine, each of which the harness must notice
"""
