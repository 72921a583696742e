"""The life of an alarm after ISA-18.2, operators' commands, and the message that subscribers get."""
