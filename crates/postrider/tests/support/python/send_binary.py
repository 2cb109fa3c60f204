"""Sends the message on standard input in chunks with BODY=BINARYMIME (RFC 3030): PORT FROM TO."""
import smtplib
import sys

port, sender, recipient = sys.argv[1:]
message = sys.stdin.buffer.read()
smtp = smtplib.SMTP("127.0.0.1", int(port), timeout=100)
smtp.ehlo()
assert smtp.has_extn("chunking") and smtp.has_extn("binarymime"), smtp.esmtp_features


def expect(code, reply):
    assert reply[0] == code, reply


expect(250, smtp.docmd("MAIL", f"FROM:<{sender}> BODY=BINARYMIME"))
expect(250, smtp.docmd("RCPT", f"TO:<{recipient}>"))
expect(503, smtp.docmd("DATA"))  # RFC 3030 section 3
sizes = [1, 2, 70_000]
while message:
    size = sizes.pop(0) if sizes else len(message)
    chunk, message = message[:size], message[size:]
    last = b"" if message else b" LAST"
    smtp.sock.sendall(b"BDAT %d%s\r\n" % (len(chunk), last) + chunk)
    expect(250, smtp.getreply())
smtp.quit()
