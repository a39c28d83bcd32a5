// What becomes of a reply when nobody asked for allowHalfOpen: it comes too late.
//
//	node integration/tcp_server/testdata/half_open.js
'use strict'
const net = require('node:net')

const server = net.createServer((socket) => {
  socket.on('data', () => {})
  socket.on('end', () => {
    setImmediate(() => socket.write('reply', (err) => console.log(err ? err.message : 'replied')))
  })
})
server.listen(8080, '127.0.0.1', () => console.log('listening on 127.0.0.1:8080'))

process.once('SIGTERM', () => {
  console.log('closed')
  process.exit()
})
