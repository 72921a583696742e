"""What a fault injection is made of: processes that can be killed, a network that can be cut, and two ledgers."""
