// Socket_address prints both ends of each connection: address, port and family.
//
//	node tcp_server/socket_address/main.js
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

const server = net.createServer(tell)
server.on('error', (err) => {
  console.error(`socket_address: ${err.message}`)
  process.exitCode = 1
})
server.listen(port, host, () => {
  const { address, port } = server.address()
  console.log('listening on', /:/.test(address) ? `[${address}]:${port}` : `${address}:${port}`)
})

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close()
    console.log('closed')
    process.exit() // connections still open would keep it alive
  })
}

// The callback's socket is the new connection, not the one that listens.
function tell (socket) {
  const { address, port, family } = socket.address() // our end, as in localAddress, localPort, localFamily
  // Read these while the socket is open: asked for the first time after it has been
  // destroyed, they are undefined.
  const { remoteAddress, remotePort, remoteFamily } = socket
  console.log(`local ${address} port ${port} family ${family}, ` +
    `remote ${remoteAddress} port ${remotePort} family ${remoteFamily}`)
  socket.resume()
  socket.on('error', (err) => console.error(`socket_address: ${err.message}`)) // with no listener it would end the process
}
