"""Neural auctions: the only part of the market floor that computes with torch.

A network maps every owner's report and a few sums over all reports to what it sells and is paid, so that the same
weights serve any number of owners and a deviation costs one owner's forward pass (``game.AuctionNetwork``).
"""
