"""Sends messages and parts of them from mailboxes, with Python's imaplib and smtplib.

Arguments: the ports of IMAP and submission, who sends, to whom, the password of both.
"""
import imaplib
import re
import smtplib
import sys

imap_port, smtp_port, sender, recipient, password = sys.argv[1:]


def log_in(user):
    imap = imaplib.IMAP4("127.0.0.1", int(imap_port))
    imap.login(user, password)
    imap._get_capabilities()
    return imap


def sign(imap, user, path, access):
    assert "URLAUTH" in imap.capabilities
    url = f"imap://{user.replace('@', '%40')}@127.0.0.1:{imap_port}/{path};URLAUTH={access}"
    kind, data = imap.xatom("GENURLAUTH", f'"{url}"', "INTERNAL")
    assert kind == "OK", (kind, data)
    return imap.response("GENURLAUTH")[1][0].decode().strip('"')


def fetch(imap, url):
    kind, data = imap.xatom("URLFETCH", f'"{url}"')
    assert kind == "OK", (kind, data)
    answer = imap.response("URLFETCH")[1][0]
    return answer[1] if isinstance(answer, tuple) else None


smtp = smtplib.SMTP("127.0.0.1", int(smtp_port))
smtp.ehlo("client.test")
assert smtp.esmtp_features["burl"] == "imap", smtp.esmtp_features
smtp.login(sender, password)


def begin(user=sender):
    assert smtp.docmd(f"MAIL FROM:<{user}>")[0] == 250
    assert smtp.docmd(f"RCPT TO:<{recipient}>")[0] == 250


def said(answer, code, text=b""):
    assert answer[0] == code and text in answer[1], answer


alice = log_in(sender)
draft = f"From: {sender}\r\nTo: {recipient}\r\nBcc: secret@client.test\r\nSubject: whole\r\n\r\nwhat it says\r\n"
kind, data = alice.append("Drafts", None, None, draft.encode())
assert kind == "OK", data
validity = re.search(rb"APPENDUID (\d+) 1\]", data[0]).group(1).decode()
path = f"Drafts;UIDVALIDITY={validity}/;UID=1"

# The whole message.
whole = sign(alice, sender, path, f"submit+{sender}")
begin()
said(smtp.docmd(f"BURL {whole} LAST"), 250, b"accepted as")

# A header of its own, and the text of the one that is there.
text = sign(alice, sender, f"{path}/;SECTION=TEXT", f"submit+{sender}")
header = f"From: {sender}\r\nSubject: made\r\n\r\n".encode()
begin()
smtp.send(b"BDAT %d\r\n" % len(header) + header)
said(smtp.getreply(), 250)
said(smtp.docmd(f"BURL {text}"), 250)
said(smtp.docmd("DATA"), 503)
said(smtp.docmd("BDAT 0 LAST"), 250, b"accepted as")

# Commands that come together.
header = header.replace(b"made", b"forwarded")
together = f"MAIL FROM:<{sender}>\r\nRCPT TO:<{recipient}>\r\nBDAT {len(header)}\r\n".encode()
smtp.send(together + header + f"BURL {text} LAST\r\n".encode())
for code in (250, 250, 250, 250):
    said(smtp.getreply(), code)

# What it does not go by: nobody else's URLs, none that is not signed, none for others.
bob = log_in(recipient)
for url in (
    sign(alice, sender, path, f"submit+{recipient}"),
    sign(alice, sender, path, f"user+{recipient}"),
    whole.replace("UID=1", "UID=2"),
    whole.split(":internal")[0],
    f"imap://{sender.replace('@', '%40')}@127.0.0.1/Drafts/;UID=1",
):
    begin()
    said(smtp.docmd(f"BURL {url} LAST"), 554, b"5.7.8")
    said(smtp.docmd(f"BURL {whole} LAST"), 503)
begin()
gone = sign(alice, sender, "Drafts/;UID=9", f"submit+{sender}")
said(smtp.docmd(f"BURL {gone} LAST"), 554, b"5.6.6")
begin()
said(smtp.docmd("BURL http://127.0.0.1/ LAST"), 501, b"5.5.4")

# Over IMAP bob reads what is for him, and not what is to be submitted.
assert fetch(bob, sign(alice, sender, f"{path}/;SECTION=TEXT", f"user+{recipient}")) == b"what it says\r\n"
assert fetch(bob, whole) is None
assert alice.xatom("RESETKEY")[0] == "OK"
begin()
said(smtp.docmd(f"BURL {whole} LAST"), 554, b"5.7.8")
smtp.quit()
print("ok")
