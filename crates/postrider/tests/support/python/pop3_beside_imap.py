"""Reads a maildrop of four messages with poplib while imaplib changes the mailbox.

Arguments: port of POP3, port of IMAP, user, password. Says which unique IDs there were.
"""
import imaplib
import poplib
import sys

pop3, imap_port, user, password = sys.argv[1:]


def ok(answer):
    kind, data = answer
    assert kind == "OK", answer
    return data


def refused(call, *arguments):
    try:
        call(*arguments)
    except poplib.error_proto as error:
        return error.args[0]
    raise AssertionError(f"{call} {arguments} was taken")


def begun():
    return poplib.POP3("127.0.0.1", int(pop3), timeout=100)


def logged_in():
    session = begun()
    session.user(user)
    session.pass_(password)
    return session


first = begun()
capabilities = first.capa()
assert capabilities["UTF8"] == ["USER"] and "LANG" in capabilities, capabilities
assert first._longcmd("LANG")[1] == [b"en English", b"i-default English, in plain words"]
assert first._shortcmd("LANG en-US").startswith(b"+OK en ")
first.utf8()
first.user(user)
first.pass_(password)
ids = [line.split()[1] for line in first.uidl()[1]]
assert len(set(ids)) == 4 and all(0 < len(each) <= 70 for each in ids), ids
second = begun()
second.user(user)
assert refused(second.pass_, password).startswith(b"-ERR [IN-USE]")

imap = imaplib.IMAP4("127.0.0.1", int(imap_port))
ok(imap.login(user, password))
assert ok(imap.select("INBOX")) == [b"4"]
ok(imap.store("1", "+FLAGS", r"(\Deleted)"))
assert ok(imap.expunge()) == [b"1"]
ok(imap.uid("MOVE", "2", "Junk"))
ok(imap.append("INBOX", None, None, b"Subject: fifth\r\n\r\nhere\r\n"))

assert first.stat()[0] == 4, "the session sees what it saw"
assert b"removed meanwhile" in refused(first.retr, 1)
assert b"removed meanwhile" in refused(first.retr, 2)
assert b"Subject: 3" in first.retr(3)[1]
refused(first.retr, 5)
first.dele(2)
first.dele(3)
first.quit()
ok(imap.noop())
assert ok(imap.search(None, "ALL")) == [b"1 2"], "the fourth and the fifth"
assert ok(imap.status("Junk", "(MESSAGES)"))[0].endswith(b"(MESSAGES 1)"), "what IMAP moved is not POP3's to delete"
third = logged_in()
left = [line.split()[1] for line in third.uidl()[1]]
assert left[0] == ids[3] and left[1] not in ids, (ids, left)
third.dele(1)
third.sock.close()
print(b" ".join(left).decode())
