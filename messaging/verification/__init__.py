"""Does the log say what the store says, and do the read models show what both say?"""
