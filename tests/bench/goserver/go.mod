module sobre.dev/tests/goserver

go 1.24
