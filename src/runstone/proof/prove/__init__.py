"""Proof that the measure measures: each judge can fail, none fails a correct server, silence earns no pass.

processes   servers and checks, forked from a warm process    null_servers   servers that keep no promise
checks      one check of one server                           sockets        what they are made of
pool        many checks at once                               matrix         what the checks show together
planning    what is checked, and how                          published      the matrix as text
proving     all checks of a proof, and what is tried twice
outcomes    what the check of each server shows
"""
