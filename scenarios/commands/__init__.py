"""The commands of ``datagora``, by subject: their options, and a call of what does the work."""
