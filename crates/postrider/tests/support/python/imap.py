"""Works with a mailbox as mail programs do, with Python's imaplib.

Arguments: port, TLS (plain, starttls, implicit), user, password. Standard input: a message, which comes back the same.
"""
import imaplib
import ssl
import sys

port, tls, user, password = sys.argv[1:]
message = sys.stdin.buffer.read()
trusting = ssl._create_unverified_context()

if tls == "implicit":
    imap = imaplib.IMAP4_SSL("127.0.0.1", int(port), ssl_context=trusting)
else:
    imap = imaplib.IMAP4("127.0.0.1", int(port))
    if tls == "starttls":
        imap.starttls(trusting)


def ok(answer):
    kind, data = answer
    assert kind == "OK", answer
    return data


ok(imap.login(user, password))
# It asks again by itself after STARTTLS only.
imap._get_capabilities()
for name in ("IMAP4REV1", "IMAP4REV2", "IDLE", "MOVE", "UIDPLUS", "CONDSTORE", "QRESYNC"):
    assert name in imap.capabilities, imap.capabilities
folder = f'"Projects/{tls} & more"'.replace("&", "&-")
ok(imap.create(folder))
ok(imap.subscribe(folder))
listed = [line.decode() for line in ok(imap.list('""', "Projects/*"))]
assert any(line.endswith(folder) for line in listed), listed
ok(imap.append(folder, r"(\Flagged $Forwarded)", '"17-Jul-1996 02:44:25 -0700"', message))
ok(imap.append(folder, None, None, b"Subject: second\r\n\r\nhere\r\n"))
assert ok(imap.status(folder, "(MESSAGES UNSEEN)"))[0].endswith(b"(MESSAGES 2 UNSEEN 2)")

assert ok(imap.select(folder)) == [b"2"]
parts = ok(imap.fetch("1", "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])"))
assert parts[0][1] == message, "the message is not what it was"
head = parts[0][0].decode()
assert f"RFC822.SIZE {len(message)} " in head and "$Forwarded" in head and r"\Flagged" in head, head
assert '"17-Jul-1996 09:44:25 +0000"' in head, head
assert ok(imap.uid("SEARCH", None, "SUBJECT", "second")) == [b"2"]
assert ok(imap.search(None, "UNSEEN", "FLAGGED")) == [b"1"]
ok(imap.fetch("2", "(BODY[TEXT])"))
assert ok(imap.search(None, "SEEN")) == [b"2"]
ok(imap.store("1", "+FLAGS", r"(\Answered)"))
assert rb"\Answered" in ok(imap.fetch("1", "(FLAGS)"))[0]
ok(imap.copy("2", "Archive"))
assert imap.response("COPYUID")[1][0], "the new UID is told"
assert imap.copy("1", "nowhere")[0] == "NO"
ok(imap.uid("MOVE", "1", "Archive"))
assert imap.response("EXPUNGE")[1] == [b"1"]
ok(imap.store("1", "+FLAGS", r"(\Deleted)"))
assert ok(imap.expunge()) == [b"1"]
assert ok(imap.select("Archive"))[0] == b"2"
assert ok(imap.uid("FETCH", "1:*", "(BODY.PEEK[])"))[2][1] == message, "nor is its copy"
ok(imap.store("1:*", "+FLAGS.SILENT", r"(\Deleted)"))
ok(imap.close())
assert ok(imap.status("Archive", "(MESSAGES)"))[0].endswith(b"(MESSAGES 0)")
ok(imap.rename(folder, '"Old"'))
ok(imap.delete("Old"))
assert imap.select(folder)[0] == "NO"
assert imap.logout()[0] == "BYE"
