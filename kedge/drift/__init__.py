"""Has the world moved away from what the champion learned? One verdict per column and per day.

Evidently measures the distances, on bounded seeded samples; a distance counts only when it is also above what
same-size draws show without any drift (`noise`). What people see stands for at least 11 people (`evidence`).
"""
