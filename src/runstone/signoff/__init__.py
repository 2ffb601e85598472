"""Sign-off: somebody puts a name under a verdict, and somebody else, elsewhere, checks it offline."""
