"""Submits a message with parameters of MAIL: port, user, password, recipient, parameters..."""
import smtplib
import sys

port, user, password, recipient, *parameters = sys.argv[1:]
with smtplib.SMTP("127.0.0.1", int(port)) as smtp:
    smtp.ehlo("client.test")
    smtp.login(user, password)
    assert smtp.has_extn("futurerelease"), smtp.esmtp_features
    assert smtp.has_extn("deliverby") and smtp.has_extn("mt-priority"), smtp.esmtp_features
    code, text = smtp.mail(user, parameters)
    assert code == 250, (code, text)
    assert smtp.rcpt(recipient)[0] == 250
    code, text = smtp.data(f"From: {user}\r\nSubject: for later\r\n\r\nheld\r\n")
    assert code == 250, (code, text)
    print(text.decode())
