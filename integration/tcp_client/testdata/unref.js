// What keeps Node alive though its only socket is unref'd: a write under way.
//
//	node integration/tcp_client/testdata/unref.js 127.0.0.1:8080
'use strict'
const net = require('node:net')

const [host, port] = process.argv[2].split(':')
const socket = net.connect(port, host, () => {
  socket.write(Buffer.alloc(64 << 20))
  socket.unref()
  console.log(`not waiting, ${socket.writableLength} bytes to write`)
})
