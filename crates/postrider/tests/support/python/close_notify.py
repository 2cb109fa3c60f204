"""Ends TLS in the middle of a message and goes on in clear: PORT data|bdat. Prints what the server then says."""
import socket
import ssl
import sys

port, how = sys.argv[1:]
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
connection = socket.create_connection(("127.0.0.1", int(port)), timeout=60)


def answer():
    said = b""
    while not said.endswith(b"\r\n") or said.rstrip().split(b"\r\n")[-1][3:4] == b"-":
        octets = connection.recv(4096)
        assert octets, said
        said += octets
    return said


def talk(line, code):
    connection.sendall(line)
    said = answer()
    assert said.startswith(code), said


answer()
talk(b"EHLO client.test\r\n", b"250")
talk(b"STARTTLS\r\n", b"220")
connection = context.wrap_socket(connection)
talk(b"EHLO client.test\r\n", b"250")
talk(b"MAIL FROM:<mallory@client.test>\r\n", b"250")
talk(b"RCPT TO:<alice@example.test>\r\n", b"250")
if how == "data":
    talk(b"DATA\r\n", b"354")
    connection.sendall(b"Subject: half\r\n\r\nunder TLS\r\n")
else:
    connection.sendall(b"BDAT 1000\r\nSubject: half\r\n\r\nunder TLS\r\n")
try:
    clear = connection.unwrap()
    clear.sendall(b"in clear\r\n.\r\nBDAT 0 LAST\r\nRSET\r\nMAIL FROM:<mallory@client.test>\r\n")
    while octets := clear.recv(4096):
        sys.stdout.write(repr(octets) + "\n")
except (ConnectionError, ssl.SSLError, OSError) as error:
    print("ended:", error.__class__.__name__)
print("closed")
