"""The agent under a steady load of real MQTT: the run, its stages alone, and the report."""
