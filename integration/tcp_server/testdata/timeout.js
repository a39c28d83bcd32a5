// What socket.setTimeout does when left alone: it tells, and closes nothing.
//
//	node integration/tcp_server/testdata/timeout.js
'use strict'
const net = require('node:net')

const server = net.createServer((socket) => {
  const peer = `${socket.remoteAddress}:${socket.remotePort}`
  socket.setTimeout(200)
  socket.on('timeout', () => console.log(`${peer} is idle, timeout ${socket.timeout}`)) // as setTimeout's callback: only the first time
  socket.pipe(socket)
})
server.listen(8080, '127.0.0.1', () => console.log('listening on 127.0.0.1:8080'))

process.once('SIGTERM', () => {
  console.log('closed')
  process.exit()
})
