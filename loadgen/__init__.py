"""How we know that it holds: traffic like a shop's, sent through the front door, and what came of it verified."""
