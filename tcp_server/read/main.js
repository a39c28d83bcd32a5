// Read prints each piece that it reads of a connection. The pieces are not the
// client's writes: TCP carries a stream of bytes, and a read returns what is there.
//
//	node tcp_server/read/main.js
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, buffer } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  buffer: { type: 'string' } // none: as much as Node likes
} }).values
if (buffer !== undefined && !/^0*[1-9]\d*$/.test(buffer)) { // of 0 bytes there would be no end
  console.error(`read: want a --buffer of 1 or more, not ${buffer}`)
  process.exit(1)
}
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

const server = net.createServer(read)
server.on('error', (err) => {
  console.error(`read: ${err.message}`)
  process.exitCode = 1
})
server.listen(port, host, () => console.log('listening on', at(server.address().address, server.address().port)))

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close()
    console.log('closed')
    process.exit() // connections still open would keep it alive
  })
}

function read (socket) {
  const peer = at(socket.remoteAddress, socket.remotePort)
  const show = (data) => console.log(`${peer} read ${data.length} bytes: ${JSON.stringify(data.subarray(0, 64).toString())}`)
  if (buffer === undefined) {
    socket.on('data', show) // Node reads without being asked, up to 64 KiB at a time
  } else {
    socket.on('readable', () => { // Node has read already; read(n) takes n bytes of that, or null
      for (let data; (data = socket.read(Math.min(buffer, socket.readableLength))) !== null;) show(data)
    })
  }
  // The client's FIN, or, in Node before 24.16, a reset that came right after data.
  socket.on('end', () => console.log(`${peer} ended after ${socket.bytesRead} bytes`))
  socket.on('error', (err) => console.error(`read: ${err.message}`)) // with no listener it would end the process
}

function at (address, port) {
  return /:/.test(address) ? `[${address}]:${port}` : `${address}:${port}`
}
