"""Upstreams on the control side: which endpoints there are. Picking one for a request is the engine's work."""
