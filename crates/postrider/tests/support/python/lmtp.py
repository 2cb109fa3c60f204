"""Sends the message on standard input by LMTP: HOST-OR-SOCKET PORT FROM TO... Prints the replies as JSON."""
import json
import smtplib
import sys

host, port, sender, *recipients = sys.argv[1:]
lmtp = smtplib.LMTP(host, int(port))
lmtp.ehlo_or_helo_if_needed()
assert lmtp.does_esmtp and lmtp.has_extn("dsn") and lmtp.has_extn("pipelining"), lmtp.esmtp_features
assert lmtp.docmd("EHLO", "client.test")[0] == 500
assert lmtp.mail(sender)[0] == 250
rcpt = [lmtp.rcpt(recipient)[0] for recipient in recipients]
accepted = [recipient for recipient, code in zip(recipients, rcpt) if code == 250]
replies = []
if accepted:
    assert lmtp.docmd("DATA")[0] == 354
    lmtp.send(sys.stdin.buffer.read().replace(b"\n.", b"\n..") + b".\r\n")
    replies = [lmtp.getreply() for _ in accepted]
else:
    assert lmtp.docmd("DATA")[0] == 503
assert lmtp.noop()[0] == 250
lmtp.quit()
print(json.dumps({
    "rcpt": rcpt,
    "replies": [[recipient, code, text.decode()] for recipient, (code, text) in zip(accepted, replies)],
}))
