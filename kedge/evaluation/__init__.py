"""Is the challenger good enough, and is it better than what is in production?"""
