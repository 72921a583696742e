"""Machines that run a program: a step channel says where in it they are."""
