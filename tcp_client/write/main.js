// Write sends many bytes and counts what comes back.
//
//	node tcp_client/write/main.js
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, bytes, chunk } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  bytes: { type: 'string', default: '1048576' },
  chunk: { type: 'string', default: '65536' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

let writes = 0
let left = +bytes
const data = Buffer.alloc(+chunk)

const socket = net.connect(port, host, () => {
  console.log('connected to', at(socket.remoteAddress, socket.remotePort),
    'from', at(socket.localAddress, socket.localPort))
  write()
})

// write never waits, as a Write in Go does: what the kernel does not take stays
// in the process. So it is for us to stop at the first false, until 'drain'.
function write () {
  while (left > 0) {
    const piece = data.subarray(0, left)
    left -= piece.length
    writes++
    if (!socket.write(piece)) {
      socket.once('drain', write)
      return
    }
  }
  console.log(`wrote ${socket.bytesWritten} bytes in ${writes} writes`)
  socket.end()
}

// Reading goes on meanwhile, without any doing of ours: there are no goroutines
// to start, there is one loop for all events.
socket.resume()
socket.on('end', () => console.log(`received ${socket.bytesRead} bytes`))
socket.on('error', (err) => {
  console.error(`write: ${err.message}`)
  process.exitCode = 1
})
socket.on('close', (hadError) => hadError || console.log('closed'))

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => socket.destroy())
}

function at (ip, port) {
  return net.isIPv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`
}
