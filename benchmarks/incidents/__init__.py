"""One fault, one incident: how many incidents a fault makes, and whether its machine is shown as normal meanwhile."""
