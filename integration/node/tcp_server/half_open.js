// Half_open shows a connection of which one half is closed: it replies when the
// client has finished sending.
//
//	node integration/node/tcp_server/half_open.js
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, allow } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  allow: { type: 'string', default: 'true' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

// allowHalfOpen is false unless asked for: Node then ends our half as soon as
// the client has ended its own, and there is no replying. Go never does that.
const server = net.createServer({ allowHalfOpen: allow === 'true' }, (socket) => {
  const peer = at(socket.remoteAddress, socket.remotePort)
  const data = []
  socket.on('data', (chunk) => data.push(chunk))
  socket.on('end', () => {
    console.log(`${peer} ended after ${socket.bytesRead} bytes`)
    if (allow !== 'true') return
    // Later, as a program does that has to think. In this very turn of the loop
    // even the default would let a last end(data) through.
    setImmediate(() => {
      socket.end(Buffer.concat(data), (err) => err || console.log(`${peer} replied ${socket.bytesWritten} bytes`))
    })
  })
  socket.on('close', () => console.log(`${peer} closed`))
  socket.on('error', (err) => console.error(`half_open: ${err.message}`)) // unheard, it would end the process
})
server.on('error', (err) => {
  console.error(`half_open: ${err.message}`)
  process.exitCode = 1
})
server.listen(port, host, () => {
  console.log('listening on', at(server.address().address, server.address().port))
})

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close()
    console.log('closed')
    process.exit() // connections still open would keep it alive
  })
}

function at (ip, port) {
  return net.isIPv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`
}
