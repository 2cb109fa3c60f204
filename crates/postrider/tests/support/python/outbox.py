"""Watches mail on its way in the Outbox, and calls it off, with Python's imaplib and smtplib.

Arguments: port of IMAP, port of submission, user, password, and the command that makes the queue try again, with its
arguments. Nobody but `yes@away.test` is taken at the next host; that one at the second try.
"""
import imaplib
import re
import smtplib
import subprocess
import sys
import time

port, submission, user, password, *retry = sys.argv[1:]


def ok(answer):
    kind, data = answer
    assert kind == "OK", answer
    return data


def submit(subject, *recipients):
    with smtplib.SMTP("127.0.0.1", int(submission), timeout=100) as smtp:
        smtp.login(user, password)
        smtp.sendmail(user, recipients, f"From: {user}\r\nSubject: {subject}\r\n\r\nhello {subject}\r\n")


def until(what, look):
    for _ in range(600):
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited in vain for {what}")


def fetched(number, items):
    return b" ".join(part if isinstance(part, bytes) else b" ".join(part) for part in ok(imap.fetch(number, items)))


imap = imaplib.IMAP4("127.0.0.1", int(port))
ok(imap.login(user, password))
listed = [line.decode() for line in ok(imap.list())]
assert any("\\Noinferiors" in line and line.endswith(" Outbox") for line in listed), listed
assert ok(imap.select("Outbox")) == [b"0"]
validity = imap.response("UIDVALIDITY")[1]

submit("first", "no@away.test", "never@away.test")
submit("second", "no@away.test")
until("two messages", lambda: ok(imap.noop()) and ok(imap.search(None, "ALL")) == [b"1 2"])
until("tries in vain", lambda: b"$Deferred" in fetched("1", "(FLAGS)") and b"$Deferred" in fetched("2", "(FLAGS)"))
preview = fetched("1", "(PREVIEW)").decode()
assert "no@away.test" in preview and "451 4.2.0 not yet" in preview, preview
assert re.search(r"the next try is due at \d{4}-", preview) and "postrider" not in preview, preview
content = fetched("1", "(BODY.PEEK[])")
assert b"Subject: first\r\n" in content and b"hello first\r\n" in content, content
assert ok(imap.search(None, "KEYWORD", "$Deferred", "SUBJECT", "second")) == [b"2"]
assert ok(imap.sort("(REVERSE SUBJECT)", "UTF-8", "ALL")) == [b"2 1"]
assert b"(MESSAGES 2 UNSEEN 0 UIDNEXT 3)" in ok(imap.status("Outbox", "(MESSAGES UNSEEN UIDNEXT)"))[0]
kind, said = imap.append("Outbox", None, None, b"Subject: x\r\n\r\n")
assert kind == "NO" and b"[CANNOT]" in said[0], said
assert imap.rename("Outbox", "x")[0] == "NO" and imap.delete("Outbox")[0] == "NO"

ok(imap.store("1", "+FLAGS", r"(\Deleted)"))
assert ok(imap.expunge()) == [b"1"]
ok(imap.uid("MOVE", "2", "Trash"))
assert imap.response("EXPUNGE")[1] == [b"1"]
assert ok(imap.select("Trash")) == [b"1"]
assert b"hello second" in fetched("1", "(BODY.PEEK[TEXT])")
assert b"$Deferred" not in fetched("1", "(FLAGS)")

assert ok(imap.select("Outbox")) == [b"0"]
assert imap.response("UIDVALIDITY")[1] == validity
imap.send(b"i1 IDLE\r\n")
assert imap.readline().startswith(b"+ ")
submit("third", "yes@away.test")
heard = imap.readline()
assert heard == b"* 1 EXISTS\r\n", heard
until("the try in vain", lambda: subprocess.run(retry, check=True, capture_output=True).stdout)
while heard != b"* 1 EXPUNGE\r\n":
    # Its flags may change meanwhile.
    heard = imap.readline()
    assert b"FETCH" in heard or b"EXPUNGE" in heard, heard
imap.send(b"DONE\r\n")
assert imap.readline().startswith(b"i1 OK")
submit("fourth", "no@away.test")
until("the fourth", lambda: ok(imap.noop()) and ok(imap.search(None, "ALL")) == [b"1"])
# Three had numbers before it.
assert b"UID 4" in fetched("1", "(UID)")
print(validity[0].decode())
