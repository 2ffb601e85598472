"""Proof that the measure measures: each judge can fail, none fails a correct server, silence earns no pass.

processes   servers and checks, forked from a warm process    outcomes       what each server's check shows
checks      one check of one server                           matrix         what the checks show together
pool        many checks at once                               published      the matrix as text
planning    what is checked, and how                          null_servers   servers that keep no promise
proving     all checks of a proof, and what is tried twice
"""
