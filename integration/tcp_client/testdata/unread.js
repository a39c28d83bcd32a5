// Unread ends its half and listens to no 'data'. For each line on stdin it tells how
// it stands, and then does what the line says.
//
//	node unread.js PORT
'use strict'
const net = require('node:net')

const socket = net.connect(process.argv[2], '127.0.0.1', () => socket.end())
socket.on('close', () => {
  console.log('closed')
  process.stdin.destroy()
})
process.stdin.setEncoding('utf8').on('data', (line) => {
  console.log(`${socket.readableLength} bytes unread, destroyed ${socket.destroyed}`)
  if (line === 'resume\n') socket.resume()
})
