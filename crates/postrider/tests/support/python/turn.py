"""A customer that fetches its mail: logs in, turns the connection round, and lets its own server take what comes."""

import smtplib
import socket
import ssl
import sys
import threading

port, mode, user, password, command, own_port = sys.argv[1:]
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
if mode == "implicit":
    client = smtplib.SMTP_SSL("127.0.0.1", int(port), context=context, timeout=60)
else:
    client = smtplib.SMTP("127.0.0.1", int(port), timeout=60)
    client.starttls(context=context)
client.login(user, password)
client.ehlo()
code, text = client.docmd(command)
print(code, text.decode(), flush=True)
if code != 250:
    client.quit()
    sys.exit(0)

provider, own = client.sock, socket.create_connection(("127.0.0.1", int(own_port)), timeout=60)


def greet_and_answer():
    while octets := own.recv(65536):
        provider.sendall(octets)


answering = threading.Thread(target=greet_and_answer)
answering.start()
while octets := provider.recv(65536):
    own.sendall(octets)
own.shutdown(socket.SHUT_WR)
answering.join()
