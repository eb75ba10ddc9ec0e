"""Messages to people: a durable outbox (outbox.py), what happens to a message next (retry.py, pure), the loop that
delivers (sender.py), and the ways to deliver: channel.py is the contract, email.py with smtp.py the first of them.
incident.py writes the message about an incident."""
