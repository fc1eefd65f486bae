"""The algorithms that are built in. Each is a Policy: weights, and where the best score does not win, a pick."""
