"""The small demo model: scenes, training, and `python -m demo`."""
