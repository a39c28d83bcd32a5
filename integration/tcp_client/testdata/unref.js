// What keeps Node alive though its only socket is unref'd: a write under way.
//
//	node integration/tcp_client/testdata/unref.js 127.0.0.1:8080 67108864
'use strict'
const net = require('node:net')

const [addr, bytes] = process.argv.slice(2)
const [host, port] = addr.split(':')
const socket = net.connect(port, host, () => {
  socket.write(Buffer.alloc(+bytes))
  socket.unref()
  console.log(`not waiting, ${socket.writableLength} bytes to write`)
})
