"""The engine: a pure core, and the shell of Faust, Kafka and clocks around it."""
