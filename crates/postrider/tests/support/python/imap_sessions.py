"""A session that appends, flags and expunges until the server is gone; what was acknowledged is noted at once."""
import imaplib
import random
import re
import sys

port, user, password, journal, seed = sys.argv[1:]
chance = random.Random(int(seed))
log = open(journal, "a")


def note(*words):
    log.write(" ".join(map(str, words)) + "\n")
    log.flush()


def done(answer):
    if answer[0] != "OK":
        raise RuntimeError(answer)
    return answer[1]


try:
    session = imaplib.IMAP4("127.0.0.1", int(port))
    session.login(user, password)
    done(session.select("INBOX"))
    own, number = [], 0
    while True:
        number += 1
        step = chance.randrange(10)
        if step < 5 or not own:
            name = f"{seed}.{number}"
            answer = done(session.append("INBOX", None, None, f"Subject: {name}\r\n\r\nbody\r\n".encode()))
            uid = re.search(rb"APPENDUID \d+ (\d+)", answer[0])[1].decode()
            note("appended", uid, name)
            own.append(uid)
        elif step < 8:
            uid, keyword = chance.choice(own), f"k{seed}_{number}"
            done(session.uid("STORE", uid, "+FLAGS.SILENT", f"({keyword})"))
            note("flagged", uid, keyword)
        else:
            uid = own.pop(chance.randrange(len(own)))
            note("leaving", uid)
            done(session.uid("STORE", uid, "+FLAGS.SILENT", r"(\Deleted)"))
            done(session.uid("EXPUNGE", uid))
            note("gone", uid)
except (OSError, imaplib.IMAP4.abort):
    pass
