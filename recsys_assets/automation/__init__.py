"""Jobs, schedules, sensors, and the launcher of whole runs."""
