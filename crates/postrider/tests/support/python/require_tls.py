"""Sends standard input under STARTTLS: port, sender, recipient, then parameters of MAIL."""

import smtplib
import ssl
import sys

port, sender, recipient, *parameters = sys.argv[1:]
with smtplib.SMTP("127.0.0.1", int(port)) as smtp:
    smtp.ehlo()
    assert not smtp.has_extn("requiretls"), "announced in clear"
    smtp.starttls(context=ssl._create_unverified_context())
    smtp.ehlo()
    assert smtp.has_extn("requiretls"), "not announced under TLS"
    smtp.sendmail(sender, [recipient], sys.stdin.buffer.read(), mail_options=parameters)
