"""Reads a Maildir with Python's own module and prints each message as [folder, flags, Delivered-To, body]."""
import json
import mailbox
import sys

box = mailbox.Maildir(sys.argv[1], create=False)
print(json.dumps([
    [message.get_subdir(), message.get_flags(), message["Delivered-To"], message.get_payload()] for message in box
]))
