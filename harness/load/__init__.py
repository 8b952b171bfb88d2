"""What the users of a load run do, and how what they did is accounted for; `locustfile.py` drives it, and nothing here
knows locust.

Sockets, threads and sleeps are the standard library's blocking ones, which locust turns into greenlets.
"""
