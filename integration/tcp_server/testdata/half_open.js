// What becomes of a reply when nobody asked for allowHalfOpen: sent at once, in
// process.nextTick or with setImmediate, by one connection after the other.
//
//	node integration/tcp_server/testdata/half_open.js once nextTick setImmediate
'use strict'
const net = require('node:net')

const ways = process.argv.slice(2)
const server = net.createServer((socket) => {
  const when = { once: (f) => f(), nextTick: process.nextTick, setImmediate }[ways.shift()]
  socket.on('data', () => {})
  socket.on('end', () => when(() => socket.end('reply', (err) => console.log(err ? err.message : 'replied'))))
})
server.listen(8080, '127.0.0.1', () => console.log('listening on 127.0.0.1:8080'))

process.once('SIGTERM', () => {
  console.log('closed')
  process.exit()
})
