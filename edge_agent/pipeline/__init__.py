"""Joins the rooms of the street for all machines; pure: no clock, no thread, no file."""
