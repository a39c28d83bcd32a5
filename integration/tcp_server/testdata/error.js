// What becomes of an 'error' that nobody listens for: it ends the process, and
// one client's reset is enough.
//
//	node integration/tcp_server/testdata/error.js
'use strict'
const net = require('node:net')

const server = net.createServer((socket) => {
  console.log(`${socket.remoteAddress}:${socket.remotePort} connected`)
  socket.resume()
})
server.listen(8080, '127.0.0.1', () => console.log('listening on 127.0.0.1:8080'))
