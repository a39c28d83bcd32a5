// Queue writes to a peer that does not read until write says false, and then ends
// the connection by a method of the socket's.
//
//	node queue.js destroy|destroySoon
'use strict'
const net = require('node:net')

const socket = net.connect(8080, '127.0.0.1', () => {
  console.log('mark', socket.writableHighWaterMark)
  let most = 0
  while (socket.write(Buffer.alloc(1000), (err) => { if (!err) calledBack += 1000 })) {
    most = socket.writableLength
  }
  console.log(`write returned true, ${most} bytes queued`)
  console.log(`write returned false, ${socket.writableLength} bytes queued, bytesWritten ${socket.bytesWritten}`)
  socket[process.argv[2]]()
})
let calledBack = 0
socket.on('close', () => setImmediate(() => console.log(`called back without an error: ${calledBack} bytes`)))
