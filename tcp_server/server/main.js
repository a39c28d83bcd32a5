// Server accepts TCP connections and echoes what each of them sends.
//
//	node tcp_server/server/main.js
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

const server = net.createServer((socket) => {
  const peer = at(socket.remoteAddress, socket.remotePort) // not known any more once it is closed
  console.log(`${peer} connected`)
  socket.pipe(socket) // at the client's FIN it ends our half too, once all is sent back
  socket.on('close', () => console.log(`${peer} closed after ${socket.bytesWritten} bytes`))
  // With nobody to hear it, an 'error' ends the process: one client's reset
  // would cost all of them their connections.
  socket.on('error', (err) => console.error(`server: ${err.message}`))
})
server.on('error', (err) => {
  console.error(`server: ${err.message}`)
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
