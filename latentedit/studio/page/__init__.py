"""The page of the studio and its server."""
