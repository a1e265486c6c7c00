"""The soak: random markets of every kind, with all invariants on, for as long as one likes (``datagora soak``).

``markets`` draws scenarios, ``invariants`` says what must hold in every market, ``trial`` plays one market three ways
(plain, again, broken off and gone on with), ``shrinking`` makes a failure small, ``files`` spoils input files, and
``command`` does all of it until the time is over.
"""
