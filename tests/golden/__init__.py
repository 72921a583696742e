"""The golden corpus: recordings through the whole agent, and what came of them at the commit that recorded them."""
